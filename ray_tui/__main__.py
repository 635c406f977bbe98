"""``python -m ray_tui``: the same as ``ray-tui``."""

from ray_tui.cli import main

if __name__ == "__main__":
    main()
