create table counters (key text primary key, grp int not null, version bigint not null default 0, stamp text not null default 'initial');
insert into counters (key, grp) select 'k' || n, n % 6 from generate_series(0, 47) n;
