/** What an event says of the declaration that its object is of; nothing where nobody declared it. */
export function markOf({ managedBy }: { readonly managedBy?: string | undefined }): { managedBy?: string } {
  return managedBy === undefined ? {} : { managedBy };
}
