/** Rules for redocly.yaml that its assertions cannot say. */
export default () => ({
  id: 'contract',
  rules: { oas3: { 'answered-properties-required': answeredPropertiesRequired } },
});

/** An object requires all its properties, unless it is named `New…` or `…Changes`: those are only ever sent. */
function answeredPropertiesRequired({ except }) {
  return {
    Schema({ properties = {}, required = [] }, { location, report }) {
      if (/^#\/components\/schemas\/(New[^/]*|[^/]*Changes)(\/|$)/.test(location.pointer)) return;
      for (const name of Object.keys(properties)) {
        if (required.includes(name) || except.includes(name)) continue;
        report({ message: `\`${name}\` is answered, so it must be required.`, location: location.child('required') });
      }
    },
  };
}
