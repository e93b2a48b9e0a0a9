// The commands of those who run a provisioning service. They come in a file of their own, so that a gateway which only
// keeps its assignment loads none of them.

export { addEnrollmentCommands } from "./enrollment.ts";
export { printDeviceEnrollment } from "./identity-enroll.ts";
export { addRegistrationCommands } from "./registration.ts";
export { addServiceManagementCommands } from "./service-management.ts";
export { enrollmentOf } from "./this-device.ts";
