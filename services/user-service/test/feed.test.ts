import { publishesItsFeed } from '../../runtime/test/feed.ts';
import { subject } from './subject.ts';

publishesItsFeed(subject);
