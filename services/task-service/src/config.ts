import { makeValidator } from 'envalid';

/** Credentials are rejected: fetch ignores them, and they would appear in the log of every error. */
const address = makeValidator<string>((value) => {
  const { protocol, username, password } = URL.canParse(value) ? new URL(value) : {};
  if (/^https?:$/.test(protocol ?? '') && !username && !password) return value;
  throw new Error('it must be a URL such as http://user-service, without credentials');
});

/** The variables that only the task service reads. */
export const variables = {
  USER_SERVICE_URL: address({ default: 'http://user-service', desc: 'the URL of the user service' }),
};
