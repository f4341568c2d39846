"""Dead letters: written, listed, and put back."""
