// Browser code of the pages with an API reference: copy buttons, health status and the try-it form.
// redoc.ts appends the script that starts Redoc.

const baseUrl = new URL('.', location.href).href.replace(/\/$/, '');
for (const code of document.querySelectorAll('#try code')) code.textContent = code.textContent.replace('$URL', baseUrl);

// Used by Redoc and by the try-it form.
const reference = fetch(document.getElementById('reference-document').href)
  .then((response) => response.text())
  .then((text) => JSON.parse(text.replaceAll('$URL', baseUrl)));

for (const button of document.querySelectorAll('#try button')) button.addEventListener('click', () => copy(button));

function copy(button) {
  // navigator.clipboard exists only on https and localhost.
  getSelection().selectAllChildren(button.closest('article').querySelector('code'));
  button.textContent = document.execCommand('copy') ? 'Copied' : 'Press Ctrl+C';
  setTimeout(() => (button.textContent = 'Copy'), 2000);
}

async function refreshHealth() {
  if (document.visibilityState === 'visible') showHealth(...(await checkHealth()));
}

async function checkHealth() {
  try {
    const response = await fetch('health', { cache: 'no-store', signal: AbortSignal.timeout(4000) });
    if (response.ok) return ['healthy', 'Healthy'];
    const problem = await response.json();
    return ['unhealthy', `Not ready: ${problem.detail}`];
  } catch {
    return ['unhealthy', 'Unreachable'];
  }
}

function showHealth(state, text) {
  const pill = document.getElementById('health');
  pill.dataset.state = state;
  // A screen reader announces every write to a status element.
  if (pill.textContent !== text) pill.textContent = text;
}

if (document.getElementById('health')) {
  setInterval(refreshHealth, 5000);
  document.addEventListener('visibilitychange', refreshHealth);
  refreshHealth();
}

// On a phone, show the button for Redoc's menu only while the reference is visible.
new IntersectionObserver(([container]) => {
  document.body.classList.toggle('reading', container.isIntersecting);
}).observe(document.getElementById('redoc-container'));

// The try-it form

const dialog = document.getElementById('try-it');
const part = (selector) => dialog.querySelector(selector);
let operation;

document.addEventListener('click', (event) => {
  const link = event.target.closest('a[href^="#try/"]');
  if (!link) return;
  event.preventDefault();
  openForm(operationIdIn(link.hash));
});
if (location.hash.startsWith('#try/')) openForm(operationIdIn(location.hash));

part('[data-do=close]').addEventListener('click', () => dialog.close());
part('form').addEventListener('submit', (event) => {
  event.preventDefault();
  send();
});

function operationIdIn(hash) {
  return hash.slice('#try/'.length);
}

/** `values` overrides the parameters' examples. */
async function openForm(operationId, values = {}) {
  operation = findOperation(await reference, operationId);
  const { method, path, summary, parameters, requestBody } = operation;
  part('h2').textContent = summary;
  part('[data-method]').textContent = part('[data-method]').dataset.method = method;
  part('p code').textContent = path;
  const isRequired = ({ name, required }) => required || name in values;
  const required = parameters.filter(isRequired);
  const optional = parameters.filter((parameter) => !isRequired(parameter));
  part('.fields').replaceChildren(
    ...required.map((parameter) => parameterField(parameter, values[parameter.name] ?? parameter.example)),
    ...(requestBody ? [bodyField(requestBody)] : []),
    ...(optional.length > 0
      ? [
          make(
            'details',
            {},
            make('summary', {}, 'Optional'),
            ...optional.map((parameter) => parameterField(parameter)),
          ),
        ]
      : []),
  );
  part('[role=status]').textContent = '';
  part('.response').replaceChildren();
  if (!dialog.open) dialog.showModal();
  part('.fields :is(input, textarea), form > button:last-child').focus();
}

function findOperation(contract, operationId) {
  const lookUp = (value) =>
    value.$ref
      ? value.$ref
          .split('/')
          .slice(1)
          .reduce((parent, key) => parent[key], contract)
      : value;
  for (const [path, { parameters = [], ...operations }] of Object.entries(contract.paths)) {
    for (const [method, operation] of Object.entries(operations)) {
      if (operation.operationId !== operationId) continue;
      const all = [...parameters, ...(operation.parameters ?? [])].map(lookUp);
      const responses = Object.entries(operation.responses).map(([status, response]) => [status, lookUp(response)]);
      return {
        ...operation,
        path,
        method: method.toUpperCase(),
        parameters: all,
        responses: Object.fromEntries(responses),
      };
    }
  }
  throw new Error(`The contract has no operation ${operationId}.`);
}

function parameterField({ name, in: location, required, example, examples = {} }, value = '') {
  const placeholder = example ?? Object.values(examples)[0]?.value ?? '';
  const input = make('input', { name, value, placeholder, required: Boolean(required), autocomplete: 'off' });
  return make('label', {}, make('span', {}, name, ' ', make('small', {}, `(${location})`)), input);
}

function bodyField({ content }) {
  const [[type, { examples }]] = Object.entries(content);
  const value = JSON.stringify(Object.values(examples)[0].value, null, 2);
  const input = make('textarea', { name: 'body', value, rows: value.split('\n').length + 1, spellcheck: false });
  input.dataset.type = type;
  return make('label', {}, make('span', {}, 'Body ', make('small', {}, type)), input);
}

async function send() {
  const status = part('[role=status]');
  status.textContent = 'Sending…';
  part('.response').replaceChildren();
  try {
    const response = await fetch(...requestFromForm());
    status.textContent = `${response.status} ${response.statusText}`;
    status.dataset.ok = response.ok;
    showResponse(response, await response.text());
  } catch (error) {
    status.textContent = `Request failed: ${error.message}`;
    status.dataset.ok = false;
  }
  // The form may fill the dialog.
  status.scrollIntoView();
}

function requestFromForm() {
  const { method, path, parameters } = operation;
  const values = new FormData(part('form'));
  const entriesIn = (location) =>
    parameters
      .filter((each) => each.in === location && values.get(each.name))
      .map(({ name }) => [name, values.get(name)]);
  const pathname = path.replace(/\{(\w+)\}/g, (_, name) => encodeURIComponent(values.get(name)));
  const query = new URLSearchParams(entriesIn('query'));
  const body = part('textarea');
  const headers = { ...(body && { 'Content-Type': body.dataset.type }), ...Object.fromEntries(entriesIn('header')) };
  return [
    baseUrl + pathname + (query.size > 0 ? `?${query}` : ''),
    { method, headers, body: body?.value, cache: 'no-store' },
  ];
}

function showResponse({ status, headers }, text) {
  const { headers: declared = {}, links = {} } = operation.responses[status] ?? {};
  const body = /json/.test(headers.get('Content-Type')) ? JSON.parse(text) : undefined;
  const container = part('.response');
  if (/problem/.test(headers.get('Content-Type'))) {
    container.append(make('p', {}, `${body.title}: `, make('a', { href: body.type }, body.type)));
  }
  const received = Object.keys(declared).filter((name) => headers.has(name));
  container.append(
    make('dl', {}, ...received.flatMap((name) => [make('dt', {}, name), make('dd', {}, headers.get(name))])),
    ...Object.values(links).map((link) => linkButton(link, body)),
    ...(text ? [make('pre', {}, body ? JSON.stringify(body, null, 2) : text)] : []),
  );
}

/** Opens the operation that an OpenAPI link names, with parameters from the response body. */
function linkButton({ operationId, description, parameters }, body) {
  const values = Object.entries(parameters).map(([name, expression]) => {
    const [, pointer] = expression.split('#/');
    return [name, pointer.split('/').reduce((value, key) => value[key], body)];
  });
  const button = make('button', { type: 'button' }, description.replace(/\.$/, ''));
  button.addEventListener('click', () => openForm(operationId, Object.fromEntries(values)));
  return button;
}

function make(name, properties, ...children) {
  const element = Object.assign(document.createElement(name), properties);
  element.append(...children);
  return element;
}
