/** The pages around an API reference: each service's homepage and the docs of the whole system. */
import type { Contract, Document, Operation } from '../contract/document.ts';
import { html, markdown, type Html } from './html.ts';
import { redocPage } from './redoc.ts';
import { curl } from './samples.ts';

/** Relative URLs, valid under any prefix. */
export interface PageUrls {
  assetUrl: (name: string) => string;
  referenceUrl: string;
}

/** A service's homepage: introduction, health, curl commands and API reference. */
export function homepage({ document, operations }: Contract, urls: PageUrls): string {
  const links = html`
    ${serviceLink(document.externalDocs)}
    <li>
      <b><a href="/docs">System docs</a></b> both services on one page
    </li>
    ${contractLinks('')}
    <li>
      <b><a href="problems/">Problems</a></b> every error, its cause and its fix
    </li>
  `;
  const nav = html`<nav>
      <a href="#try">Try it</a> <a href="#reference">Reference</a> <a href="problems/">Problems</a>
      <a href="/docs">Docs</a>
    </nav>
    <p id="health" role="status" data-state="unknown">Checking…</p>`;
  return page(document, urls, './', nav, html`${introduction(document, links)} ${commands(operations)}`);
}

/** The docs of the whole system: every service's operations and one API reference. */
export function docsPage({ document, operations }: Contract, urls: PageUrls): string {
  const groups = document['x-tagGroups'] ?? [];
  const nav = html`<nav><a href="#try">Operations</a> <a href="#reference">Reference</a></nav>`;
  const lists = groups.map(({ name, tags }) => {
    const inGroup = tags.flatMap((tag) => operations.filter((operation) => operation.tags.includes(tag)));
    return html`<div>
      <h3>${name}</h3>
      <ul>
        ${inGroup.map(operationRow)}
      </ul>
    </div>`;
  });
  const services = new Map(document.tags.map(({ externalDocs }) => [externalDocs?.url, externalDocs]));
  const links = html`${[...services.values()].map(serviceLink)} ${contractLinks('docs/')}`;
  const main = html`${introduction(document, links)}
    <section id="try">
      <h2>Operations</h2>
      <div class="operations">${lists}</div>
    </section>`;
  return page(document, urls, 'docs', nav, main);
}

function page(document: Document, { assetUrl, referenceUrl }: PageUrls, self: string, nav: Html, main: Html): string {
  const { title, summary } = document.info;
  const head = html`
    <meta name="description" content="${summary}" />
    <link rel="icon" href="${assetUrl('icon.svg')}" />
    <link rel="stylesheet" href="${assetUrl('pages.css')}" />
    <link rel="preload" as="fetch" crossorigin href="${referenceUrl}" id="reference-document" />
    <script defer src="${assetUrl('pages.js')}"></script>
  `;
  const body = html`<header class="bar"><a class="brand" href="${self}">${title}</a>${nav}</header>
    <main>${main} ${tryItDialog}</main>
    <h2 class="reference" id="reference">Reference</h2>`;
  return redocPage(html`${title}`, head, body, assetUrl);
}

function introduction({ info, tags }: Document, links: Html): Html {
  return html`<section class="introduction">
    <div>
      <h1>${info.title} <small>${info.version}</small></h1>
      <p class="summary">${info.summary}</p>
      ${markdown(info.description)}
      <dl>${tags.map(tagEntry)}</dl>
    </div>
    <ul class="links">
      ${links}
    </ul>
  </section>`;
}

function tagEntry({ name, description }: Document['tags'][number]): Html {
  return html`<dt><a href="#tag/${name.replaceAll(' ', '-')}">${name}</a></dt>
    <dd>${description}</dd>`;
}

/** The description has the form `User service: the people who work on the tasks`. */
function serviceLink({ url, description }: Document['externalDocs'] = { url: '', description: '' }): Html {
  const [name = '', purpose = ''] = description.split(': ');
  return html`<li>
    <b><a href="${url}">${name}</a></b> ${purpose}
  </li>`;
}

function contractLinks(folder: string): Html {
  return html`<li>
    <b><a href="${folder}openapi.yaml">openapi.yaml</a> · <a href="${folder}openapi.json">openapi.json</a></b>
    the OpenAPI contract, for clients, mocks and tests
  </li>`;
}

/** A curl command for each operation that needs no id. */
function commands(operations: Operation[]): Html {
  return html`<section id="try">
    <h2>Try it</h2>
    <div class="commands">${operations.filter(({ path }) => !path.includes('{')).map(commandCard)}</div>
  </section>`;
}

function commandCard(operation: Operation): Html {
  return html`<article>
    <h3><b data-method="${operation.method}">${operation.method}</b> ${operation.summary}</h3>
    <div>
      <a href="#try/${operation.operationId}" aria-label="Try it: ${operation.summary}">Try it</a>
      <button type="button">Copy</button>
    </div>
    <pre><code>${curl(operation)}</code></pre>
  </article>`;
}

function operationRow({ operationId, method, path, summary }: Operation): Html {
  return html`<li>
    <b data-method="${method}">${method}</b>
    <a href="#operation/${operationId}">${summary}</a> <code>${path}</code>
    <a href="#try/${operationId}" aria-label="Try it: ${summary}">Try it</a>
  </li>`;
}

/** assets/pages.js fills it in for an operation. */
const tryItDialog = html`<dialog id="try-it" aria-labelledby="try-it-title" closedby="any">
  <form>
    <h2 id="try-it-title"></h2>
    <button type="button" data-do="close">Close</button>
    <p><b data-method></b> <code></code></p>
    <div class="fields"></div>
    <button>Send</button>
  </form>
  <p role="status"></p>
  <div class="response"></div>
</dialog>`;
