"""``python -m emoclass``."""

from emoclass.cli import main

if __name__ == "__main__":
    main()
