/**
 * The contracts as one document, for whoever sees the system as one: each path as the gateway has it, each name once.
 *
 * By hand, since no library does it: openapi-merge knows only OpenAPI 3.0, and the (experimental) join of @redocly/cli
 * neither moves paths under `servers`, nor shares what is equal, nor renames operations.
 */
import { isDeepStrictEqual } from 'node:util';
import type { Json } from '@task-manager/dev/repository';

/** The parts of a bundled contract that are joined. */
interface Contract extends Json {
  openapi: string;
  info: Json & { title: string; summary: string };
  servers: { url: string }[];
  tags: { name: string }[];
  paths: Record<string, Json>;
  components: Components;
}
/** By kind and name: `components.schemas.Task`. */
type Components = Record<string, Json>;

/**
 * Joins bundled contracts, of which the first keeps its names. Of the others an operation or component whose name is
 * taken by something else gets the name of its service: `getHealth` → `getUserServiceHealth`. A tag does so in every one.
 */
export function join(bundled: Json[]): Json {
  const contracts = bundled as Contract[];
  const tagNames = contracts.flatMap(({ tags }) => tags.map(({ name }) => name));
  const paths: Contract['paths'] = {};
  const components: Components = {};
  const tags: Contract['tags'][] = [];
  for (const contract of contracts) {
    const renamed = rename(contract, namesFor(contract, components, paths), tagNames);
    const prefix = contract.servers[0]?.url.replace(/\/$/, '') ?? '';
    for (const [path, item] of Object.entries(renamed.paths)) paths[prefix + path] = item;
    for (const [kind, named] of Object.entries(renamed.components))
      components[kind] = { ...components[kind], ...named };
    tags.push(renamed.tags.map((tag) => ({ ...tag, externalDocs: pageOf(contract) })));
  }
  const groups = contracts.map(({ info }, i) => ({ name: info.title, tags: tags[i]?.map(({ name }) => name) }));
  const { openapi, info, security } = contracts[0] as Contract;
  return {
    openapi,
    info: { ...info, ...introduction(contracts) },
    servers: [{ url: '/', description: 'The host this page came from.' }],
    security,
    tags: tags.flat(),
    'x-tagGroups': groups,
    paths,
    components,
  };
}

/** The link to a service's page, in the form of the contracts: `Task service: manages the tasks of a team`. */
function pageOf({ info, servers }: Contract): { url: string; description: string } {
  const purpose = info.summary.replace(/\.$/, '').replace(/^[A-Z]/, (letter) => letter.toLowerCase());
  return { url: servers[0]?.url.replace(/\/?$/, '/') ?? '/', description: `${info.title}: ${purpose}` };
}

/** The title, summary and description of the combined contract. */
function introduction(contracts: Contract[]): Json {
  const services = contracts.map((contract) => `[${contract.info.title}](${pageOf(contract).url})`);
  return {
    title: 'Task Manager',
    summary: 'Manages the tasks and users of a team.',
    description: `The ${services.join(' and the ')} at one address. The assignee of a task must be an existing user. A
moment after a user is deleted, the task service unassigns the tasks of this user.

Times are in UTC, ids are UUIDs version 7, and lists are paged. Every error is a
[problem](https://www.rfc-editor.org/rfc/rfc9457), and its \`type\` links to its explanation. With \`If-Match\`, an update
changes only the version that you have read. With an \`Idempotency-Key\`, a POST is safe to retry.
`,
  };
}

/** What is to be called otherwise: operations by `operationId`, components by their `$ref`. */
function namesFor(contract: Contract, components: Components, paths: Contract['paths']): Map<string, string> {
  const names = new Map<string, string>();
  const words = contract.info.title.split(' ');
  const service = words.map((word) => word.charAt(0).toUpperCase() + word.slice(1)).join('');
  const nameOf = (name: string) => (/^[A-Z]/.test(name) ? service + name : [...words, name].join('-').toLowerCase());
  const taken = new Set(operationIdsIn(paths));
  for (const id of operationIdsIn(contract.paths).filter((each) => taken.has(each))) {
    names.set(
      id,
      id.replace(/^[a-z]+/, (verb) => verb + service),
    );
  }
  const inBoth = Object.entries(contract.components).flatMap(([kind, named]) =>
    Object.entries(named)
      .filter(([name]) => components[kind]?.[name] !== undefined)
      .map(([name, component]) => ({ kind, name, component, ref: `#/components/${kind}/${name}` })),
  );
  // Again until nothing more is found: what refers to another component than its namesake does is another too.
  for (let before = -1; before !== names.size;) {
    before = names.size;
    for (const { kind, name, component, ref } of inBoth) {
      const differs = !isDeepStrictEqual(component, components[kind]?.[name]);
      if (differs || refsIn(component).some((each) => names.has(each))) {
        names.set(ref, `#/components/${kind}/${nameOf(name)}`);
      }
    }
  }
  return names;
}

function rename(contract: Contract, names: Map<string, string>, tagNames: string[]): Contract {
  const tagName = (name: string) => {
    const isShared = tagNames.filter((each) => each === name).length > 1;
    return isShared ? `${contract.info.title} ${name.toLowerCase()}` : name;
  };
  const renamed = JSON.parse(JSON.stringify(contract), (key, value: unknown) => {
    if ((key === '$ref' || key === 'operationId') && typeof value === 'string') return names.get(value) ?? value;
    if (key === 'tags' && Array.isArray(value)) {
      return value.map((tag: string | { name: string }) =>
        typeof tag === 'string' ? tagName(tag) : { ...tag, name: tagName(tag.name) },
      );
    }
    return value;
  }) as Contract;
  const components = Object.entries(renamed.components).map(([kind, named]) => {
    const nameOf = (name: string) => names.get(`#/components/${kind}/${name}`)?.split('/').at(-1) ?? name;
    return [kind, Object.fromEntries(Object.entries(named).map(([name, component]) => [nameOf(name), component]))];
  });
  return { ...renamed, components: Object.fromEntries(components) as Components };
}

function operationIdsIn(paths: Contract['paths']): string[] {
  return Object.values(paths).flatMap((item) =>
    Object.values(item).flatMap((operation) => (operation as { operationId?: string }).operationId ?? []),
  );
}

function refsIn(value: unknown): string[] {
  return [...JSON.stringify(value).matchAll(/"\$ref":"([^"]*)"/g)].map(([, ref = '']) => ref);
}
