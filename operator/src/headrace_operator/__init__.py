"""The Headrace operator."""
