"""What runs in a consumer pod, and what handlers import."""
