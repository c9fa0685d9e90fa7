create table visitors (name text primary key);
