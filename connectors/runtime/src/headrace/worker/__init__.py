"""The process of a consumer: reads, hands over, handles, commits, and says how it fares."""
