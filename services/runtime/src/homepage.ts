/** The homepage of a service: what it is, how it is, what to try, and below that Redoc's reference. */
import type { Contract, Document, Operation } from './contract.ts';
import { html, markdown, type Html } from './html.ts';
import { redocPage } from './redoc.ts';

/** Makes the page from the contract. Every address in it is relative, so it is right under any prefix. */
export function homepage({ document, operations }: Contract, assetUrl: (name: string) => string): string {
  const { title, summary } = document.info;
  const head = html`
    <meta name="description" content="${summary}" />
    <link rel="icon" href="${assetUrl('icon.svg')}" />
    <link rel="stylesheet" href="${assetUrl('pages.css')}" />
    <script defer src="${assetUrl('pages.js')}"></script>
  `;
  const body = html`${bar(document)}
    <main>${introduction(document)} ${commands(operations)}</main>
    <h2 class="reference" id="reference">Reference</h2>`;
  return redocPage(html`${title}`, head, body, assetUrl);
}

function bar({ info }: Document): Html {
  return html`<header class="bar">
    <a class="brand" href="./">${info.title}</a>
    <nav><a href="#try">Try it</a> <a href="#reference">Reference</a> <a href="problems/">Problems</a></nav>
    <p id="health" role="status" data-state="unknown">Checking …</p>
  </header>`;
}

function introduction({ info, tags, externalDocs }: Document): Html {
  const [neighbour = '', purpose = ''] = externalDocs.description.split(': ');
  return html`<section class="introduction">
    <div>
      <h1>${info.title} <small>${info.version}</small></h1>
      <p class="summary">${info.summary}</p>
      ${markdown(info.description)}
      <dl>${tags.map(tag)}</dl>
    </div>
    <ul class="links">
      <li>
        <b><a href="${externalDocs.url}">${neighbour}</a></b> ${purpose}
      </li>
      <li>
        <b><a href="openapi.yaml">openapi.yaml</a> · <a href="openapi.json">openapi.json</a></b>
        the contract, for clients, mocks and tests
      </li>
      <li>
        <b><a href="problems/">Problems</a></b> what each error means and what to do
      </li>
    </ul>
  </section>`;
}

function tag({ name, description }: Document['tags'][number]): Html {
  return html`<dt><a href="#tag/${name}">${name}</a></dt>
    <dd>${description}</dd>`;
}

/** What can be asked without knowing an id, as lines for a shell. */
function commands(operations: Operation[]): Html {
  return html`<section id="try">
    <h2>Try it</h2>
    <div class="commands">${operations.filter(({ path }) => !path.includes('{')).map(card)}</div>
  </section>`;
}

function card(operation: Operation): Html {
  return html`<article>
    <h3><b data-method="${operation.method}">${operation.method}</b> ${operation.summary}</h3>
    <button type="button">Copy</button>
    <pre><code>${curl(operation)}</code></pre>
  </article>`;
}

/** assets/pages.js puts the address that the page came from in the place of `$URL`. */
function curl({ method, path, requestBody }: Operation): string {
  const [type, media] = Object.entries(requestBody?.content ?? {})[0] ?? [];
  const [example] = Object.values(media?.examples ?? {});
  const request = method === 'GET' ? `curl $URL${path}` : `curl -X ${method} $URL${path}`;
  if (!type || !example) return request;
  const body = JSON.stringify(example.value).replaceAll("'", String.raw`'\''`);
  return [request, `-H 'Content-Type: ${type}'`, `-d '${body}'`].join(' \\\n  ');
}
