"""``python -m pycryptoutil`` is ``pycryptoutil``."""

from pycryptoutil.cli import main

if __name__ == "__main__":
    main()
