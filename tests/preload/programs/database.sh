# sqlite3: 50,000 rows, an index, queries, VACUUM and the integrity check.
set -eu
sqlite3 data.db <<'END'
create table item (id integer primary key, name text, price real, note blob);
with recursive n(i) as (select 1 union all select i + 1 from n where i < 50000)
insert into item select i, 'name' || (i * 7919 % 50021), i * 0.25,
                        zeroblob(i % 50) from n;
create index by_name on item (name, price);
select count(*), sum(price), min(name), max(name) from item;
select name, count(*) c from item group by substr(name, 1, 6)
  order by c desc, name limit 5;
select a.id, b.id from item a join item b on a.name = 'name' || b.id
  order by a.id limit 3;
begin;
update item set note = note || 'changed' where id % 3 = 0;
delete from item where id % 5 = 0;
commit;
vacuum;
pragma integrity_check;
select count(*), sum(length(note)) from item;
END
sqlite3 data.db .dump | md5sum
sqlite3 -cmd 'pragma cache_size=100' data.db 'select count(*) from item
  where name in (select name from item where id < 9999)'
