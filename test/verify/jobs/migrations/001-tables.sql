-- What the jobs of the harness leave behind: that an attempt was begun, and what it did.
create table runs (n integer not null, attempt integer not null, token integer not null);
create table effects (n integer primary key, times integer not null);
-- One row for each transaction of orders: whether it has committed is seen here, whatever its client was told.
create table batches (batch integer primary key);
