create table cakes (id int primary key, name text not null);
insert into cakes select n, 'cake ' || n from generate_series(1, 12) n;
