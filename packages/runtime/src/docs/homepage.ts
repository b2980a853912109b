/** The pages above a reference: a service's homepage, and the one of the whole system. */
import type { Contract, Document, Operation } from '../contract/document.ts';
import { html, markdown, type Html } from './html.ts';
import { redocPage } from './redoc.ts';
import { curl } from './samples.ts';

/** Where a page finds what belongs to it. These addresses are relative, so they are right under any prefix. */
export interface Addresses {
  assetUrl: (name: string) => string;
  /** Of what Redoc shows. */
  referenceUrl: string;
}

/** What the service is, how it is, what to try, and below that Redoc's reference. */
export function homepage({ document, operations }: Contract, addresses: Addresses): string {
  const links = html`
    ${service(document.externalDocs)}
    <li>
      <b><a href="/docs">Docs of the whole system</a></b> both services on one page
    </li>
    ${documents('')}
    <li>
      <b><a href="problems/">Problems</a></b> what each error means and what to do
    </li>
  `;
  const bar = html`<nav>
      <a href="#try">Try it</a> <a href="#reference">Reference</a> <a href="problems/">Problems</a>
      <a href="/docs">Docs</a>
    </nav>
    <p id="health" role="status" data-state="unknown">Checking …</p>`;
  return page(document, addresses, './', bar, html`${introduction(document, links)} ${commands(operations)}`);
}

/** The whole system: each operation of each service, and the reference of them all. */
export function docsPage({ document, operations }: Contract, addresses: Addresses): string {
  const groups = document['x-tagGroups'] ?? [];
  const bar = html`<nav><a href="#try">Operations</a> <a href="#reference">Reference</a></nav>`;
  const lists = groups.map(({ name, tags }) => {
    const own = tags.flatMap((each) => operations.filter((operation) => operation.tags.includes(each)));
    return html`<div>
      <h3>${name}</h3>
      <ul>
        ${own.map(row)}
      </ul>
    </div>`;
  });
  const services = new Map(document.tags.map(({ externalDocs }) => [externalDocs?.url, externalDocs]));
  const links = html`${[...services.values()].map(service)} ${documents('docs/')}`;
  const main = html`${introduction(document, links)}
    <section id="try">
      <h2>Operations</h2>
      <div class="operations">${lists}</div>
    </section>`;
  return page(document, addresses, 'docs', bar, main);
}

function page(document: Document, { assetUrl, referenceUrl }: Addresses, self: string, bar: Html, main: Html): string {
  const { title, summary } = document.info;
  const head = html`
    <meta name="description" content="${summary}" />
    <link rel="icon" href="${assetUrl('icon.svg')}" />
    <link rel="stylesheet" href="${assetUrl('pages.css')}" />
    <link rel="preload" as="fetch" crossorigin href="${referenceUrl}" id="reference-document" />
    <script defer src="${assetUrl('pages.js')}"></script>
  `;
  const body = html`<header class="bar"><a class="brand" href="${self}">${title}</a>${bar}</header>
    <main>${main} ${tryIt}</main>
    <h2 class="reference" id="reference">Reference</h2>`;
  return redocPage(html`${title}`, head, body, assetUrl);
}

function introduction({ info, tags }: Document, links: Html): Html {
  return html`<section class="introduction">
    <div>
      <h1>${info.title} <small>${info.version}</small></h1>
      <p class="summary">${info.summary}</p>
      ${markdown(info.description)}
      <dl>${tags.map(tag)}</dl>
    </div>
    <ul class="links">
      ${links}
    </ul>
  </section>`;
}

function tag({ name, description }: Document['tags'][number]): Html {
  return html`<dt><a href="#tag/${name.replaceAll(' ', '-')}">${name}</a></dt>
    <dd>${description}</dd>`;
}

/** Its description says its name and what it is for: `User service: the people who work on the tasks`. */
function service({ url, description }: Document['externalDocs'] = { url: '', description: '' }): Html {
  const [name = '', purpose = ''] = description.split(': ');
  return html`<li>
    <b><a href="${url}">${name}</a></b> ${purpose}
  </li>`;
}

function documents(folder: string): Html {
  return html`<li>
    <b><a href="${folder}openapi.yaml">openapi.yaml</a> · <a href="${folder}openapi.json">openapi.json</a></b>
    the contract, for clients, mocks and tests
  </li>`;
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
    <div>
      <a href="#try/${operation.operationId}" aria-label="Try it: ${operation.summary}">Try it</a>
      <button type="button">Copy</button>
    </div>
    <pre><code>${curl(operation)}</code></pre>
  </article>`;
}

function row({ operationId, method, path, summary }: Operation): Html {
  return html`<li>
    <b data-method="${method}">${method}</b>
    <a href="#operation/${operationId}">${summary}</a> <code>${path}</code>
    <a href="#try/${operationId}" aria-label="Try it: ${summary}">Try it</a>
  </li>`;
}

/** What assets/pages.js fills in for an operation. */
const tryIt = html`<dialog id="try-it" aria-labelledby="try-it-title" closedby="any">
  <form>
    <h2 id="try-it-title"></h2>
    <button type="button" data-do="close">Close</button>
    <p><b data-method></b> <code></code></p>
    <div class="fields"></div>
    <button>Send</button>
  </form>
  <p role="status"></p>
  <div class="answer"></div>
</dialog>`;
