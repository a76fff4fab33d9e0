import { Migration } from '@mikro-orm/migrations'
import { appendMessages } from './functions/append-messages.ts'

/** Attachments and their objects, stories, and people who block each other. */
export class Migration20261121180000_media extends Migration {
  override up(): void {
    for (const statement of [...identity, ...media, ...messenger, ...stories, appendMessages]) this.addSql(statement)
  }
}

const identity = [
  `create table blocks (
    user_id uuid not null,
    blocked_user_id uuid not null,
    created_at timestamptz not null default now(),
    primary key (user_id, blocked_user_id),
    constraint blocks_user_id_foreign foreign key (user_id) references users (id) on update cascade on delete cascade,
    constraint blocks_blocked_user_id_foreign foreign key (blocked_user_id)
      references users (id) on update cascade on delete cascade
  )`,
  'create index blocks_blocked_user on blocks (blocked_user_id)',
  'create index users_avatar on users (avatar_id) where avatar_id is not null',
]

const media = [
  `create table media_objects (
    key text not null,
    bytes bigint not null,
    stored_at timestamptz null,
    removing_at timestamptz null,
    created_at timestamptz not null default now(),
    primary key (key)
  )`,
  'create index media_objects_removing on media_objects (removing_at) where removing_at is not null',

  `create table attachments (
    id uuid not null,
    owner_id uuid null,
    kind text not null,
    mime text not null,
    name text null,
    bytes bigint not null,
    thumbnail_bytes bigint not null,
    width int null,
    height int null,
    duration_ms int null,
    preview text null,
    sha256 bytea not null,
    storage_key text not null,
    thumbnail_key text null,
    status text not null default 'pending',
    check_at timestamptz null,
    created_at timestamptz not null default now(),
    primary key (id),
    constraint attachments_kind_check check (kind in ('image', 'video', 'audio', 'file')),
    constraint attachments_status_check check (status in ('pending', 'ready')),
    constraint attachments_owner_id_foreign foreign key (owner_id) references users (id) on delete set null,
    constraint attachments_storage_key_foreign foreign key (storage_key) references media_objects (key)
      on delete no action,
    constraint attachments_thumbnail_key_foreign foreign key (thumbnail_key) references media_objects (key)
      on delete no action
  )`,
  'create index attachments_owner on attachments (owner_id, id)',
  'create index attachments_storage_key on attachments (storage_key)',
  'create index attachments_thumbnail_key on attachments (thumbnail_key) where thumbnail_key is not null',
  'create index attachments_check on attachments (check_at) where check_at is not null',

  /** What of an attachment everybody is shown who may see it; without addresses, which are signed when they are given. */
  `create function attachment_facts(a attachments) returns json language sql stable as $$
    select json_strip_nulls(json_build_object('id', a.id, 'kind', a.kind, 'mime', a.mime, 'bytes', a.bytes,
      'name', a.name, 'width', a.width, 'height', a.height, 'durationMs', a.duration_ms, 'preview', a.preview,
      'hasThumbnail', a.thumbnail_key is not null))
  $$`,

  `create table media_usage (
    user_id uuid not null,
    bytes bigint not null,
    primary key (user_id),
    constraint media_usage_bytes_check check (bytes >= 0),
    constraint media_usage_user_id_foreign foreign key (user_id) references users (id)
      on update cascade on delete cascade
  )`,
]

const messenger = [
  'alter table conversations add column is_blocked boolean not null default false',
  'create index conversations_avatar on conversations (avatar_id) where avatar_id is not null',
  'alter table messages add column story_id uuid null',

  `create table message_attachments (
    conversation_id uuid not null,
    message_id uuid not null,
    position int not null,
    attachment_id uuid not null,
    primary key (conversation_id, message_id, position),
    constraint message_attachments_conversation_id_message_id_foreign foreign key (conversation_id, message_id)
      references messages (conversation_id, id) on update cascade on delete cascade,
    constraint message_attachments_attachment_id_foreign foreign key (attachment_id) references attachments (id)
      on delete no action
  )`,
  'create index message_attachments_attachment on message_attachments (attachment_id)',
]

const stories = [
  `create table stories (
    id uuid not null,
    user_id uuid not null,
    attachment_id uuid null,
    caption text null,
    created_at timestamptz not null,
    expires_at timestamptz not null,
    primary key (id),
    constraint stories_content_check check (attachment_id is not null or caption is not null),
    constraint stories_life_check check (expires_at > created_at),
    constraint stories_user_id_foreign foreign key (user_id) references users (id) on delete cascade,
    constraint stories_attachment_id_foreign foreign key (attachment_id) references attachments (id) on delete no action
  )`,
  'create index stories_user on stories (user_id, created_at)',
  'create index stories_expires on stories (expires_at)',
  'create index stories_attachment on stories (attachment_id)',

  `create table story_views (
    story_id uuid not null,
    user_id uuid not null,
    viewed_at timestamptz not null,
    reaction text null,
    primary key (story_id, user_id),
    constraint story_views_story_id_foreign foreign key (story_id) references stories (id)
      on update cascade on delete cascade,
    constraint story_views_user_id_foreign foreign key (user_id) references users (id)
      on update cascade on delete cascade
  )`,
  'create index story_views_user on story_views (user_id)',
]
