/**
 * Joins the contracts into one document, with the paths of the gateway and unique names.
 *
 * No library does this: openapi-merge supports only OpenAPI 3.0, and the experimental join of @redocly/cli neither
 * prefixes paths with `servers`, nor deduplicates equal components, nor renames operations.
 */
import { isDeepStrictEqual } from 'node:util';
import type { Json } from '@task-manager/dev/repository';

/** The joined parts of a bundled contract. */
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
 * Joins bundled contracts. The first keeps its names. In the others, a conflicting name of an operation or component gets
 * the name of its service: `getHealth` → `getUserServiceHealth`. Conflicting tags are renamed in every contract.
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

/** Its page, described in one line: `Task service: manages the tasks of a team`. */
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
    description: `The ${services.join(' and the ')} at one address. The assignee of a task must be an existing user. Deleting
the user unassigns the task a moment later.

Times are UTC, ids are UUIDv7, and lists are paginated. Every error is a [problem](https://www.rfc-editor.org/rfc/rfc9457)
whose \`type\` links to its explanation. \`If-Match\` prevents lost updates, and an \`Idempotency-Key\` makes a POST safe to
retry.
`,
  };
}

/** The new names of conflicting operations, by `operationId`, and components, by `$ref`. */
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
  // Repeat until stable: a component differs when it refers to one that was renamed.
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
