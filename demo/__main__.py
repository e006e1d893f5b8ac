"""`python -m demo machine|linode|mailbox|site`."""

from demo.cli import main

if __name__ == "__main__":
    main(prog_name="python -m demo")
