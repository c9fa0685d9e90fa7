create table counters (key text primary key, version bigint not null);
insert into counters select 'k' || n, 0 from generate_series(0, 11) n;

-- Who answers says so itself: whether it is a standby, its port, and by which address the connection came.
create view answered_counters as
select key, version, current_setting('in_hot_standby') as standby, current_setting('port') as port,
  current_setting('verify.via', true) as via
from counters;
