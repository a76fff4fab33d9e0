import { t } from '../i18n.ts'
import { Field } from '../ui/field.tsx'
import { type Meanings, useSending } from '../ui/problem.tsx'

/**
 * The present password, which proves once more who one is. The server does not tell whether an account has one: without
 * one a login of the last ten minutes is taken in its place.
 */
export function PasswordProof({ value, onValue }: { value: string; onValue(value: string): void }) {
  return (
    <Field
      label={t('account:currentPassword')}
      type="password"
      autocomplete="current-password"
      value={value}
      onValue={onValue}
      maxLength={200}
      hint={t('account:proofHint')}
    />
  )
}

/** As `useSending`, for what asks for that proof. */
export const useProof = (meanings: Meanings = {}) => useSending({ unauthenticated: t('account:unproved'), ...meanings })
