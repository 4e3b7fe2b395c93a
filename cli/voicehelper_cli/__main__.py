"""``python -m voicehelper_cli``."""

from voicehelper_cli.main import main

if __name__ == "__main__":
    main()
