"""``python -m headrace_agent``."""

from headrace_agent.run import main

if __name__ == "__main__":
    main()
