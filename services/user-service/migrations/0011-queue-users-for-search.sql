-- After the triggers, in a transaction of its own, so that no user is missed and writers do not wait.
insert into user_service.search_queue (id) select id from user_service.users order by id;
