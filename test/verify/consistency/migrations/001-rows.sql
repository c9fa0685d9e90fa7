create table counters (key text primary key, grp int not null, version bigint not null, stamp text not null);
create table posts (key text primary key, grp int not null, version bigint not null, stamp text not null);
create table shaped (key text primary key, version bigint not null, stamp text not null);
-- The versions of rows that come and go.
create table tallies (key text primary key, version bigint not null);

insert into counters select 'c' || lpad(n::text, 2, '0'), n % 3, 0, 'initial' from generate_series(0, 17) n;
insert into posts select 'p' || lpad(n::text, 2, '0'), n % 3, 0, 'initial' from generate_series(0, 17) n;
insert into shaped select 's' || lpad(n::text, 2, '0'), 0, 'initial' from generate_series(0, 3) n;
insert into tallies select key, 0 from posts;

-- Who answers says so itself.
create view answering as select current_setting('in_hot_standby') as standby, current_setting('port') as port;
