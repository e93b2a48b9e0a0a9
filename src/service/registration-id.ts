// What may be the name of a registration, an enrollment or a group (DPS concepts, registration ID).

/** 1 to 128 characters, the last a letter, a digit or a dash; case does not count. */
export const isRegistrationId = (id: string): boolean => /^[A-Za-z0-9\-._:]{0,127}[A-Za-z0-9-]$/.test(id);
