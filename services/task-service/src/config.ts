import { makeValidator } from 'envalid';

/** Not with a name and a password in it: they would be of no use (fetch takes none), and stand in every log of an error. */
const address = makeValidator<string>((value) => {
  const { protocol, username, password } = URL.canParse(value) ? new URL(value) : {};
  if (/^https?:$/.test(protocol ?? '') && !username && !password) return value;
  throw new Error('it must be like http://user-service, without a name or a password');
});

/** What the task service reads from its environment beside what every service reads. */
export const variables = {
  USER_SERVICE_URL: address({ default: 'http://user-service', desc: 'where the user service answers' }),
};
