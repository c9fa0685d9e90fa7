-- No key on purpose: a write that is carried out twice must show.
create table posts (id text not null, build integer not null);
