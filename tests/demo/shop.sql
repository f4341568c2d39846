-- The shop's database. An order and its outbox row are written in one transaction.
CREATE TABLE IF NOT EXISTS public.orders (
    id       bigint PRIMARY KEY,
    customer integer NOT NULL,
    sequence integer NOT NULL,
    amount   numeric(12, 2) NOT NULL,
    currency text NOT NULL,
    UNIQUE (customer, sequence)
);
-- The columns are those that Debezium's outbox event router knows by default, and a W3C trace.
CREATE TABLE IF NOT EXISTS public.outbox (
    id            uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    aggregatetype text NOT NULL,
    aggregateid   text NOT NULL,
    type          text NOT NULL,
    payload       jsonb NOT NULL,
    traceparent   text
);
