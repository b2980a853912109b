import { answersAlikeInTheFastLane } from '@task-manager/testing/fast-path';
import { limitsItsClients } from '@task-manager/testing/rate-limit';
import { refusesWhatIsTooMuch } from '@task-manager/testing/overload';
import { subject } from './subject.ts';

answersAlikeInTheFastLane(subject);
limitsItsClients(subject);
refusesWhatIsTooMuch(subject);
