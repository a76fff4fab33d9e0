import { sql } from 'kysely'

/** Who is here all the time is noted anew when that was said longer ago, so that `last_seen_at` is right to this. */
const freshMinutes = 5

/** Of a row of `users`: whether it has to be noted that the user is here, since that was long ago or yesterday (UTC). */
export const isUnseen = sql<boolean>`(
  last_seen_at is null or last_seen_at < now() - make_interval(mins => ${freshMinutes})
  or (last_seen_at at time zone 'utc')::date < (now() at time zone 'utc')::date
)`

/**
 * Notes that the user is here now, and so was here today (UTC): `users.last_seen_at` and `user_activity`. In one statement,
 * so that whoever was seen today has the row of today; that is why nobody has to remember whom it was written for. The
 * days are those of people: agents are not counted.
 */
export const notingSeen = (userId: string) => sql`
  with seen as (update users set last_seen_at = now() where id = ${userId} and deleted_at is null returning id, kind)
  insert into user_activity (user_id, day) select id, (now() at time zone 'utc')::date from seen where kind = 'human'
  on conflict do nothing`
