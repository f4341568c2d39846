"""What operators of Headrace see: a dashboard, alerts, and one page per alert."""
