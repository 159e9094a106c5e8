import Foundation

/// The functions of libpq, found by name, with the types of its header.
///
/// `PGconn *`, `PGresult *` and `PGcancel *` are opaque pointers.
@safe
struct PQFunctions: Sendable {
    typealias CString = UnsafePointer<CChar>
    typealias Act = @Sendable @convention(c) (OpaquePointer?) -> Void
    typealias GetNumber = @Sendable @convention(c) (OpaquePointer?) -> Int32
    typealias GetText = @Sendable @convention(c) (OpaquePointer?) -> CString?
    typealias GetHandle = @Sendable @convention(c) (OpaquePointer?) -> OpaquePointer?
    typealias GetMemory = @Sendable @convention(c) (OpaquePointer?) -> UnsafeMutableRawPointer?
    typealias GetTextAt = @Sendable @convention(c) (OpaquePointer?, Int32) -> CString?
    typealias GetNumberOfCell = @Sendable @convention(c) (OpaquePointer?, Int32, Int32) -> Int32
    typealias GetTextOfCell = @Sendable @convention(c) (OpaquePointer?, Int32, Int32) -> CString?
    typealias Free = @Sendable @convention(c) (UnsafeMutableRawPointer?) -> Void
    typealias Connect =
        @Sendable @convention(c) (UnsafePointer<CString?>?, UnsafePointer<CString?>?, Int32) -> OpaquePointer?
    typealias Send =
        @Sendable @convention(c) (
            OpaquePointer?, CString?, Int32, UnsafePointer<UInt32>?, UnsafePointer<CString?>?, UnsafePointer<Int32>?,
            UnsafePointer<Int32>?, Int32
        ) -> Int32
    typealias NoticeProcessor = @convention(c) (UnsafeMutableRawPointer?, CString?) -> Void

    // Settings.
    let conninfoParse:
        @Sendable @convention(c) (CString?, UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?)
            -> UnsafeMutableRawPointer?
    let conninfo: GetMemory
    let conninfoFree: Free
    let freemem: Free

    // Connections.
    let connectStartParams: Connect
    let connectdbParams: Connect
    let status: GetNumber
    let errorMessage: GetText
    let connectionNeedsPassword: GetNumber
    let finish: Act
    let socket: GetNumber
    let sslInUse: GetNumber
    let setnonblocking: @Sendable @convention(c) (OpaquePointer?, Int32) -> Int32
    let setNoticeProcessor:
        @Sendable @convention(c) (OpaquePointer?, NoticeProcessor?, UnsafeMutableRawPointer?) -> UnsafeRawPointer?
    let transactionStatus: GetNumber
    let notifies: GetMemory

    // Statements.
    let sendQueryParams: Send
    let flush: GetNumber
    let consumeInput: GetNumber
    let isBusy: GetNumber
    let getResult: GetHandle
    let getCancel: GetHandle
    let cancel: @Sendable @convention(c) (OpaquePointer?, UnsafeMutablePointer<CChar>?, Int32) -> Int32
    let freeCancel: Act

    // Results.
    let clear: Act
    let resultStatus: GetNumber
    let resultErrorMessage: GetText
    let resultErrorField: GetTextAt
    let ntuples: GetNumber
    let nfields: GetNumber
    let fname: GetTextAt
    let ftype: @Sendable @convention(c) (OpaquePointer?, Int32) -> UInt32
    let getisnull: GetNumberOfCell
    let getlength: GetNumberOfCell
    let getvalue: GetTextOfCell
    let cmdStatus: GetText
    let cmdTuples: GetText

    /// Pipelines; `nil` before libpq 14.
    let pipeline: Pipeline?

    @safe
    struct Pipeline: Sendable {
        let enter: GetNumber
        let sync: GetNumber
        /// The same without a system call; `nil` before libpq 17.
        let sendSync: GetNumber?
    }

    /// - Throws: The name of the function that is missing.
    init(_ library: DynamicLibrary) throws(MissingSymbol) {
        unsafe self.conninfoParse = try library.function("PQconninfoParse")
        unsafe self.conninfo = try library.function("PQconninfo")
        unsafe self.conninfoFree = try library.function("PQconninfoFree")
        unsafe self.freemem = try library.function("PQfreemem")
        unsafe self.connectStartParams = try library.function("PQconnectStartParams")
        unsafe self.connectdbParams = try library.function("PQconnectdbParams")
        unsafe self.status = try library.function("PQstatus")
        unsafe self.errorMessage = try library.function("PQerrorMessage")
        unsafe self.connectionNeedsPassword = try library.function("PQconnectionNeedsPassword")
        unsafe self.finish = try library.function("PQfinish")
        unsafe self.socket = try library.function("PQsocket")
        unsafe self.sslInUse = try library.function("PQsslInUse")
        unsafe self.setnonblocking = try library.function("PQsetnonblocking")
        unsafe self.setNoticeProcessor = try library.function("PQsetNoticeProcessor")
        unsafe self.transactionStatus = try library.function("PQtransactionStatus")
        unsafe self.notifies = try library.function("PQnotifies")
        unsafe self.sendQueryParams = try library.function("PQsendQueryParams")
        unsafe self.flush = try library.function("PQflush")
        unsafe self.consumeInput = try library.function("PQconsumeInput")
        unsafe self.isBusy = try library.function("PQisBusy")
        unsafe self.getResult = try library.function("PQgetResult")
        unsafe self.getCancel = try library.function("PQgetCancel")
        unsafe self.cancel = try library.function("PQcancel")
        unsafe self.freeCancel = try library.function("PQfreeCancel")
        unsafe self.clear = try library.function("PQclear")
        unsafe self.resultStatus = try library.function("PQresultStatus")
        unsafe self.resultErrorMessage = try library.function("PQresultErrorMessage")
        unsafe self.resultErrorField = try library.function("PQresultErrorField")
        unsafe self.ntuples = try library.function("PQntuples")
        unsafe self.nfields = try library.function("PQnfields")
        unsafe self.fname = try library.function("PQfname")
        unsafe self.ftype = try library.function("PQftype")
        unsafe self.getisnull = try library.function("PQgetisnull")
        unsafe self.getlength = try library.function("PQgetlength")
        unsafe self.getvalue = try library.function("PQgetvalue")
        unsafe self.cmdStatus = try library.function("PQcmdStatus")
        unsafe self.cmdTuples = try library.function("PQcmdTuples")
        self.pipeline = Self.pipeline(library)
    }

    private static func pipeline(_ library: DynamicLibrary) -> Pipeline? {
        guard let enter: GetNumber = unsafe try? library.function("PQenterPipelineMode"),
            let sync: GetNumber = unsafe try? library.function("PQpipelineSync")
        else { return nil }
        return unsafe Pipeline(enter: enter, sync: sync, sendSync: try? library.function("PQsendPipelineSync"))
    }
}

/// A library that has been loaded and stays so.
@safe
struct DynamicLibrary {
    private let handle: UnsafeMutableRawPointer

    /// Loads a library, of a name that the system resolves or at a path.
    init?(_ path: String) {
        guard let handle = unsafe dlopen(path, RTLD_NOW | RTLD_LOCAL) else { return nil }
        unsafe self.handle = handle
    }

    /// Finds a function, whose type the caller has to know.
    func function<Function>(_ name: String) throws(MissingSymbol) -> Function {
        guard let address = unsafe dlsym(self.handle, name) else { throw MissingSymbol(name: name) }
        return unsafe unsafeBitCast(address, to: Function.self)
    }
}

/// A function that a library does not have.
struct MissingSymbol: Error {
    let name: String
}
