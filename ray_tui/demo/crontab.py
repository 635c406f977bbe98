"""``python -m ray_tui.demo.crontab HOST:PORT -l | -``: the demo's ``crontab``, which asks the demo's cron."""

import http.client
import sys

ANSWER_SECONDS = 8.0


def main(address: str, argument: str) -> int:
    """Show the crontab that cron holds, or have it take the one on standard input; exit codes as crontab's."""
    connection = http.client.HTTPConnection(address, timeout=ANSWER_SECONDS)
    try:
        if argument == "-l":
            connection.request("GET", "/crontab")
        else:
            connection.request("PUT", "/crontab", sys.stdin.buffer.read())
        answer = connection.getresponse()
        said = answer.read().decode("utf-8")
    except OSError as exc:
        sys.stderr.write(f"the demo's cron does not answer at {address}: {exc}\n")
        return 1
    finally:
        connection.close()
    (sys.stdout if answer.status == 200 else sys.stderr).write(said)
    return 0 if answer.status == 200 else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:3]))
