import type { Connection } from './connection.ts'

/** What happens in one feature and concerns later ones. */
export interface DomainEventMap {
  /** An account was made. */
  'user.registered': { userId: string; referralCode: string | undefined }
  /**
   * An account is being deleted: what is the user's alone goes, what others share stays as from a deleted user. The row of
   * the user is locked and still says what it said.
   */
  'user.deleting': { userId: string }
  /** What others see of a user has changed. */
  'user.changed': { userId: string }
  /** Somebody has blocked a user, or has taken that back; the rows of both are held. */
  'user.blocked': { userId: string; blockedId: string }
  /** A payment has come in; its value in US cents whatever was paid with. */
  'payment.succeeded': { paymentId: string; userId: string; valueUsd: number; at: Date }
  /** A payment was given back in full. */
  'payment.refunded': { paymentId: string; userId: string; valueUsd: number; at: Date }
}

export type DomainEvent = keyof DomainEventMap

/** What is left to do once the transaction is committed, such as telling sockets. */
export type AfterCommit = () => void | Promise<void>

/** Takes part in the transaction of the event; what it throws rolls everything back. */
export type Subscriber<E extends DomainEvent> = (
  em: Connection,
  event: DomainEventMap[E],
) => Promise<AfterCommit | undefined>

/**
 * News from a feature to those on its right. An event has two halves: subscribers write in the transaction that makes it
 * happen, and what they return runs after the commit.
 */
export interface DomainEvents {
  on<E extends DomainEvent>(name: E, subscriber: Subscriber<E>): void
  /** Runs the first halves, in the order of subscription; call what it returns after the commit. */
  publish<E extends DomainEvent>(em: Connection, name: E, event: DomainEventMap[E]): Promise<() => Promise<void>>
}

export function createDomainEvents(): DomainEvents {
  const subscribers = new Map<DomainEvent, Subscriber<never>[]>()
  return {
    on(name, subscriber) {
      subscribers.set(name, [...(subscribers.get(name) ?? []), subscriber as Subscriber<never>])
    },
    async publish(em, name, event) {
      const afterwards: AfterCommit[] = []
      for (const subscriber of subscribers.get(name) ?? []) {
        const afterCommit = await subscriber(em, event as never)
        if (afterCommit) afterwards.push(afterCommit)
      }
      return async () => {
        for (const afterCommit of afterwards) await afterCommit()
      }
    },
  }
}
