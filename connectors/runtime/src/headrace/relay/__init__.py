"""The polling publisher: rows of an outbox table become records, in order per key, where no CDC is possible."""
