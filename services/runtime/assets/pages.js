// What the homepage does in the browser: addresses for the curl lines, copying them, and looking at the health.

const url = new URL('.', location.href).href.replace(/\/$/, '');
for (const code of document.querySelectorAll('#try code')) code.textContent = code.textContent.replace('$URL', url);

for (const button of document.querySelectorAll('#try button')) button.addEventListener('click', () => copy(button));

function copy(button) {
  // By selection, since navigator.clipboard is there only on https and localhost.
  getSelection().selectAllChildren(button.parentElement.querySelector('code'));
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

setInterval(look, 5000);
document.addEventListener('visibilitychange', look);
look();

// The button that opens Redoc's menu on a phone is of use only where the reference is.
new IntersectionObserver(([reference]) => {
  document.body.classList.toggle('reading', reference.isIntersecting);
}).observe(document.getElementById('redoc-container'));
