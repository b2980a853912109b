import { answersAlikeInTheFastLane } from '../../runtime/test/lane.ts';
import { limitsItsClients } from '../../runtime/test/limits.ts';
import { refusesWhatIsTooMuch } from '../../runtime/test/overload.ts';
import { subject } from './subject.ts';

answersAlikeInTheFastLane(subject);
limitsItsClients(subject);
refusesWhatIsTooMuch(subject);
