import { publishesItsFeed } from '@task-manager/testing/feed';
import { subject } from './subject.ts';

publishesItsFeed(subject);
