"""What each pane paints. A new pane is a file here and a line in ``PHASES``."""
