import { nameOf } from '../state/people.ts'
import type { People } from './scene.ts'

/** What somebody is called: without following all conversations where they take part in this one. */
export const nameAmong = (people: People, userId: string | undefined): string =>
  (userId !== undefined && people.get(userId)?.displayName) || nameOf(userId)
