-- After the triggers, in a transaction of its own, so that no task is missed and writers do not wait.
insert into task_service.search_queue (id) select id from task_service.tasks order by id;
