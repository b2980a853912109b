import { url } from 'envalid';

/** What the task service reads from its environment beside what every service reads. */
export const variables = {
  USER_SERVICE_URL: url({ default: 'http://user-service', desc: 'where the user service answers' }),
};
