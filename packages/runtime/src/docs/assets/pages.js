// What the pages with a reference do in the browser: addresses in the samples, copying them, looking at the health, and
// sending a request. The service adds what starts Redoc.

const url = new URL('.', location.href).href.replace(/\/$/, '');
for (const code of document.querySelectorAll('#try code')) code.textContent = code.textContent.replace('$URL', url);

// What the contract and its samples are in this place; Redoc shows it, and requests are made of it.
const reference = fetch(document.getElementById('reference-document').href)
  .then((response) => response.text())
  .then((text) => JSON.parse(text.replaceAll('$URL', url)));

for (const button of document.querySelectorAll('#try button')) button.addEventListener('click', () => copy(button));

function copy(button) {
  // By selection, since navigator.clipboard is there only on https and localhost.
  getSelection().selectAllChildren(button.closest('article').querySelector('code'));
  button.textContent = document.execCommand('copy') ? 'Copied' : 'Press Ctrl+C';
  setTimeout(() => (button.textContent = 'Copy'), 2000);
}

async function look() {
  if (document.visibilityState === 'visible') show(...(await health()));
}

async function health() {
  try {
    const response = await fetch('health', { cache: 'no-store', signal: AbortSignal.timeout(4000) });
    if (response.ok) return ['healthy', 'Healthy'];
    const problem = await response.json();
    return ['unhealthy', `Not ready: ${problem.detail}`];
  } catch {
    return ['unhealthy', 'No answer'];
  }
}

function show(state, text) {
  const pill = document.getElementById('health');
  pill.dataset.state = state;
  // A screen reader says what changes here, so only what changes is written.
  if (pill.textContent !== text) pill.textContent = text;
}

if (document.getElementById('health')) {
  setInterval(look, 5000);
  document.addEventListener('visibilitychange', look);
  look();
}

// The button that opens Redoc's menu on a phone is of use only where the reference is.
new IntersectionObserver(([reference]) => {
  document.body.classList.toggle('reading', reference.isIntersecting);
}).observe(document.getElementById('redoc-container'));

// Try it: a form for an operation, sent to the service that this page comes from.

const dialog = document.getElementById('try-it');
const part = (selector) => dialog.querySelector(selector);
let shown;

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

/** Shows the form of an operation; `values` are those of its parameters that are known. */
async function openForm(operationId, values = {}) {
  shown = findOperation(await reference, operationId);
  const { method, path, summary, parameters, requestBody } = shown;
  part('h2').textContent = summary;
  part('[data-method]').textContent = part('[data-method]').dataset.method = method;
  part('p code').textContent = path;
  const [needed, optional] = [true, false].map((isNeeded) =>
    parameters.filter(({ name, required }) => isNeeded === (required || name in values)),
  );
  part('.fields').replaceChildren(
    ...needed.map((parameter) => parameterField(parameter, values[parameter.name] ?? parameter.example)),
    ...(requestBody ? [bodyField(requestBody)] : []),
    ...(optional.length > 0
      ? [make('details', {}, make('summary', {}, 'May be left out'), ...optional.map((each) => parameterField(each)))]
      : []),
  );
  part('[role=status]').textContent = '';
  part('.answer').replaceChildren();
  if (!dialog.open) dialog.showModal();
  part('.fields :is(input, textarea), form > button:last-child').focus();
}

function findOperation(contract, operationId) {
  const lookUp = (value) =>
    value.$ref ? value.$ref.split('/').slice(1).reduce((parent, key) => parent[key], contract) : value;
  for (const [path, { parameters = [], ...operations }] of Object.entries(contract.paths)) {
    for (const [method, operation] of Object.entries(operations)) {
      if (operation.operationId !== operationId) continue;
      const all = [...parameters, ...(operation.parameters ?? [])].map(lookUp);
      const responses = Object.entries(operation.responses).map(([status, response]) => [status, lookUp(response)]);
      return { ...operation, path, method: method.toUpperCase(), parameters: all, responses: Object.fromEntries(responses) };
    }
  }
  throw new Error(`no operation ${operationId}`);
}

function parameterField({ name, in: place, required, example, examples = {} }, value = '') {
  const such = example ?? Object.values(examples)[0]?.value ?? '';
  const input = make('input', { name, value, placeholder: such, required: Boolean(required), autocomplete: 'off' });
  return make('label', {}, make('span', {}, name, ' ', make('small', {}, `in the ${place}`)), input);
}

function bodyField({ content }) {
  const [[type, { examples }]] = Object.entries(content);
  const value = JSON.stringify(Object.values(examples)[0].value, null, 2);
  const text = make('textarea', { name: 'body', value, rows: value.split('\n').length + 1, spellcheck: false });
  text.dataset.type = type;
  return make('label', {}, make('span', {}, 'Body ', make('small', {}, type)), text);
}

async function send() {
  const status = part('[role=status]');
  status.textContent = 'Sending …';
  part('.answer').replaceChildren();
  try {
    const response = await fetch(...requestInForm());
    status.textContent = `${response.status} ${response.statusText}`;
    status.dataset.ok = response.ok;
    showAnswer(response, await response.text());
  } catch (error) {
    status.textContent = `Not answered: ${error.message}`;
    status.dataset.ok = false;
  }
}

function requestInForm() {
  const { method, path, parameters } = shown;
  const given = new FormData(part('form'));
  const filled = (place) =>
    parameters
      .filter((each) => each.in === place && given.get(each.name))
      .map(({ name }) => [name, given.get(name)]);
  const address = path.replace(/\{(\w+)\}/g, (_, name) => encodeURIComponent(given.get(name)));
  const query = new URLSearchParams(filled('query'));
  const body = part('textarea');
  const headers = { ...(body && { 'Content-Type': body.dataset.type }), ...Object.fromEntries(filled('header')) };
  return [url + address + (query.size > 0 ? `?${query}` : ''), { method, headers, body: body?.value, cache: 'no-store' }];
}

function showAnswer({ status, headers }, text) {
  const { headers: declared = {}, links = {} } = shown.responses[status] ?? {};
  const body = /json/.test(headers.get('Content-Type')) ? JSON.parse(text) : undefined;
  const answer = part('.answer');
  if (/problem/.test(headers.get('Content-Type'))) {
    answer.append(make('p', {}, `${body.title}: `, make('a', { href: body.type }, body.type)));
  }
  const sent = Object.keys(declared).filter((name) => headers.has(name));
  answer.append(
    make('dl', {}, ...sent.flatMap((name) => [make('dt', {}, name), make('dd', {}, headers.get(name))])),
    ...Object.values(links).map((link) => nextButton(link, body)),
    ...(text ? [make('pre', {}, body ? JSON.stringify(body, null, 2) : text)] : []),
  );
}

/** A link of the contract: what can be done with what was just answered. */
function nextButton({ operationId, description, parameters }, body) {
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
