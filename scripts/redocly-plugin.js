/** Rules for redocly.yaml that its assertions cannot express. */
export default () => ({
  id: 'contract',
  rules: { oas3: { 'answered-properties-required': answeredPropertiesRequired } },
});

/** Every object requires all its properties, except `New…` and `…Changes`, which appear only in requests. */
function answeredPropertiesRequired({ except }) {
  return {
    Schema({ properties = {}, required = [] }, { location, report }) {
      if (/^#\/components\/schemas\/(New[^/]*|[^/]*Changes)(\/|$)/.test(location.pointer)) return;
      for (const name of Object.keys(properties)) {
        if (required.includes(name) || except.includes(name)) continue;
        report({
          message: `Add \`${name}\` to \`required\`: responses contain every property.`,
          location: location.child('required'),
        });
      }
    },
  };
}
