// The peer in Go: net/http and pgx, whose pool prepares each statement once per connection.
package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

func main() {
	config, err := pgxpool.ParseConfig(fmt.Sprintf("host=%s port=%s dbname=%s user=%s password=%s sslmode=disable",
		os.Getenv("POSTGRES_HOST"), os.Getenv("POSTGRES_PORT"), os.Getenv("POSTGRES_DB"),
		os.Getenv("POSTGRES_USER"), os.Getenv("POSTGRES_PASSWORD")))
	if err != nil {
		log.Fatal(err)
	}
	config.MaxConns = 10
	pool, err := pgxpool.NewWithConfig(context.Background(), config)
	if err != nil {
		log.Fatal(err)
	}
	s := &server{pool}
	http.HandleFunc("POST /tasks", s.createTask)
	http.HandleFunc("GET /tasks", s.listTasks)
	http.HandleFunc("GET /tasks/{taskId}", s.getTask)
	http.HandleFunc("PATCH /tasks/{taskId}", s.updateTask)
	log.Fatal(http.ListenAndServe("127.0.0.1:"+os.Getenv("PORT"), nil))
}

type server struct{ pool *pgxpool.Pool }

func (s *server) createTask(w http.ResponseWriter, r *http.Request) {
	task := NewTask{Status: "todo", Priority: "normal", Labels: []string{}}
	if err := parseJSON(r.Body, &task); err != nil {
		invalid(w, err)
		return
	}
	if err := task.validate(); err != nil {
		invalid(w, err)
		return
	}
	created, err := scan(s.pool.QueryRow(r.Context(), insertTask, uuid.Must(uuid.NewV7()).String(), task.Title, task.Description, task.Status,
		task.Priority, task.DueDate, task.AssigneeID, task.Labels, time.Now()))
	if err != nil {
		failed(w, err)
		return
	}
	w.Header().Set("Location", "/tasks/"+created.ID)
	writeJSON(w, http.StatusCreated, created)
}

func (s *server) listTasks(w http.ResponseWriter, r *http.Request) {
	limit := 50
	if given := r.URL.Query().Get("limit"); given != "" {
		number, err := strconv.Atoi(given)
		if err != nil || number < 1 || number > 100 {
			invalid(w, errors.New("limit must be a number from 1 to 100"))
			return
		}
		limit = number
	}
	rows, err := s.pool.Query(r.Context(), listTasks, limit+1)
	if err != nil {
		failed(w, err)
		return
	}
	tasks, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (Task, error) { return scan(row) })
	if err != nil {
		failed(w, err)
		return
	}
	page := Page{Items: tasks}
	if len(tasks) > limit {
		page.Items = tasks[:limit]
		cursor := cursorAfter(tasks[limit-1].ID)
		page.NextCursor = &cursor
	}
	writeJSON(w, http.StatusOK, page)
}

func (s *server) getTask(w http.ResponseWriter, r *http.Request) {
	id := r.PathValue("taskId")
	if !uuidPattern.MatchString(id) {
		invalid(w, errors.New("taskId must be a UUID"))
		return
	}
	task, err := scan(s.pool.QueryRow(r.Context(), findTask, id))
	answer(w, id, task, err)
}

func (s *server) updateTask(w http.ResponseWriter, r *http.Request) {
	id := r.PathValue("taskId")
	if !uuidPattern.MatchString(id) {
		invalid(w, errors.New("taskId must be a UUID"))
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		invalid(w, err)
		return
	}
	var changes TaskChanges
	if err := parseJSON(bytes.NewReader(body), &changes); err != nil {
		invalid(w, err)
		return
	}
	if err := changes.validate(); err != nil {
		invalid(w, err)
		return
	}
	task, err := scan(s.pool.QueryRow(r.Context(), updateTask, id, string(body)))
	answer(w, id, task, err)
}

const columns = `id, title, description, status, priority, due_date::text, assignee_id, labels, created_at, updated_at,
  completed_at, version`

const insertTask = `with task as (
  insert into task_service.tasks
    (id, title, description, status, priority, due_date, assignee_id, labels, created_at, updated_at, completed_at, search)
  values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $9, case $4 when 'done' then $9::timestamptz end,
    to_tsvector('simple', $2 || ' ' || $3))
  returning *
),
event as (
  insert into task_service.events (type, subject, version) select 'task.created', id, version from task
)
select ` + columns + ` from task`

const listTasks = `select ` + columns + ` from task_service.tasks order by id desc limit $1`

const findTask = `select ` + columns + ` from task_service.tasks where id = $1`

const updateTask = `with task as (
  update task_service.tasks set
    title = coalesce($2::jsonb ->> 'title', title),
    description = coalesce($2 ->> 'description', description),
    status = coalesce($2 ->> 'status', status),
    priority = coalesce(($2 ->> 'priority')::task_service.priority, priority),
    due_date = case when $2 ? 'dueDate' then ($2 ->> 'dueDate')::date else due_date end,
    assignee_id = case when $2 ? 'assigneeId' then ($2 ->> 'assigneeId')::uuid else assignee_id end,
    labels = case when $2 ? 'labels' then array(select jsonb_array_elements_text($2 -> 'labels')) else labels end,
    completed_at = case coalesce($2 ->> 'status', status) when 'done' then coalesce(completed_at, now()) end,
    updated_at = greatest(now(), updated_at),
    version = version + 1,
    search = to_tsvector('simple', coalesce($2 ->> 'title', title) || ' ' || coalesce($2 ->> 'description', description))
  where id = $1
  returning *
),
event as (
  insert into task_service.events (type, subject, version) select 'task.updated', id, version from task
)
select ` + columns + ` from task`

// Task is what the contract answers with.
type Task struct {
	ID          string   `json:"id"`
	Title       string   `json:"title"`
	Description string   `json:"description"`
	Status      string   `json:"status"`
	Priority    string   `json:"priority"`
	DueDate     *string  `json:"dueDate"`
	AssigneeID  *string  `json:"assigneeId"`
	Labels      []string `json:"labels"`
	CreatedAt   Time     `json:"createdAt"`
	UpdatedAt   Time     `json:"updatedAt"`
	CompletedAt *Time    `json:"completedAt"`
	Version     int      `json:"version"`
}

type Page struct {
	Items      []Task  `json:"items"`
	NextCursor *string `json:"nextCursor"`
}

// Time is written with milliseconds, in UTC.
type Time time.Time

func (t Time) MarshalJSON() ([]byte, error) {
	return time.Time(t).UTC().AppendFormat(nil, `"2006-01-02T15:04:05.000Z"`), nil
}

func scan(row pgx.Row) (Task, error) {
	var t Task
	var completedAt *time.Time
	err := row.Scan(&t.ID, &t.Title, &t.Description, &t.Status, &t.Priority, &t.DueDate, &t.AssigneeID, &t.Labels,
		(*time.Time)(&t.CreatedAt), (*time.Time)(&t.UpdatedAt), &completedAt, &t.Version)
	t.CompletedAt = (*Time)(completedAt)
	return t, err
}

type NewTask struct {
	Title       string   `json:"title"`
	Description string   `json:"description"`
	Status      string   `json:"status"`
	Priority    string   `json:"priority"`
	DueDate     *string  `json:"dueDate"`
	AssigneeID  *string  `json:"assigneeId"`
	Labels      []string `json:"labels"`
}

func (t *NewTask) validate() error {
	return TaskChanges{&t.Title, &t.Description, &t.Status, &t.Priority, t.DueDate, t.AssigneeID, t.Labels}.validate()
}

type TaskChanges struct {
	Title       *string  `json:"title"`
	Description *string  `json:"description"`
	Status      *string  `json:"status"`
	Priority    *string  `json:"priority"`
	DueDate     *string  `json:"dueDate"`
	AssigneeID  *string  `json:"assigneeId"`
	Labels      []string `json:"labels"`
}

var (
	uuidPattern = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$`)
	statuses    = []string{"todo", "in-progress", "done"}
	priorities  = []string{"low", "normal", "high"}
)

func (t TaskChanges) validate() error {
	switch {
	case t.Title != nil && !isText(*t.Title, 1, 200):
		return errors.New("title must be a text of 1 to 200 characters")
	case t.Description != nil && !isText(*t.Description, 0, 10000):
		return errors.New("description must be a text of at most 10000 characters")
	case t.Status != nil && !slices.Contains(statuses, *t.Status):
		return errors.New("status must be todo, in-progress or done")
	case t.Priority != nil && !slices.Contains(priorities, *t.Priority):
		return errors.New("priority must be low, normal or high")
	case t.AssigneeID != nil && !uuidPattern.MatchString(*t.AssigneeID):
		return errors.New("assigneeId must be a UUID")
	case len(t.Labels) > 20:
		return errors.New("labels must be at most 20")
	}
	if t.DueDate != nil {
		if _, err := time.Parse(time.DateOnly, *t.DueDate); err != nil {
			return errors.New("dueDate must be a date")
		}
	}
	for i, label := range t.Labels {
		if !isText(label, 1, 50) || slices.Contains(t.Labels[:i], label) {
			return errors.New("labels must differ, and be texts of 1 to 50 characters")
		}
	}
	return nil
}

func isText(text string, min, max int) bool {
	length := utf8.RuneCountInString(text)
	return length >= min && length <= max && !strings.ContainsRune(text, 0)
}

// parseJSON reads JSON into value, which has the defaults.
func parseJSON(body io.Reader, value any) error {
	decoder := json.NewDecoder(body)
	decoder.DisallowUnknownFields()
	return decoder.Decode(value)
}

func answer(w http.ResponseWriter, id string, task Task, err error) {
	switch {
	case err == nil:
		writeJSON(w, http.StatusOK, task)
	case errors.Is(err, pgx.ErrNoRows):
		problem(w, Problem{Type: "/problems/not-found", Title: "Not found", Status: http.StatusNotFound,
			Detail: "There is no task with this id.", Instance: "/tasks/" + id, RequestID: uuid.NewString()})
	default:
		failed(w, err)
	}
}

type Problem struct {
	Type      string `json:"type"`
	Title     string `json:"title"`
	Status    int    `json:"status"`
	Detail    string `json:"detail"`
	Instance  string `json:"instance,omitempty"`
	RequestID string `json:"requestId"`
}

func invalid(w http.ResponseWriter, err error) {
	problem(w, Problem{Type: "/problems/invalid-request", Title: "Invalid request", Status: http.StatusBadRequest,
		Detail: err.Error(), RequestID: uuid.NewString()})
}

func failed(w http.ResponseWriter, err error) {
	log.Print(err)
	problem(w, Problem{Type: "/problems/internal-error", Title: "Internal error", Status: http.StatusInternalServerError,
		RequestID: uuid.NewString()})
}

func problem(w http.ResponseWriter, problem Problem) {
	write(w, "application/problem+json", problem.Status, problem)
}

func writeJSON(w http.ResponseWriter, status int, body any) {
	write(w, "application/json", status, body)
}

func write(w http.ResponseWriter, contentType string, status int, body any) {
	text, err := json.Marshal(body)
	if err != nil {
		log.Print(err)
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("Content-Length", strconv.Itoa(len(text)))
	w.WriteHeader(status)
	w.Write(text)
}

var list = func() string {
	hash := sha256.Sum256([]byte(`["listTasks",{"sort":"-createdAt"}]`))
	return base64.RawURLEncoding.EncodeToString(hash[:])[:12]
}()

func cursorAfter(id string) string {
	return base64.RawURLEncoding.EncodeToString([]byte(`["` + list + `","` + id + `",null]`))
}
