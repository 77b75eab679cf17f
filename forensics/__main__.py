"""`python -m forensics` is `ir`."""

from forensics.cli import main

if __name__ == "__main__":
    main()
